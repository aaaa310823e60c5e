"""How the database came to its present form, step by step. A step that was released is never changed."""

MIGRATIONS: tuple[str, ...] = (
    # 1: jobs and what became of them. `number` has no type, so that 40 and 40.0 stay what they were.
    """
    CREATE TABLE jobs (
        arrival      INTEGER PRIMARY KEY AUTOINCREMENT,
        id           TEXT NOT NULL UNIQUE,
        number       NOT NULL,
        state        TEXT NOT NULL CHECK (state IN
                     ('queued', 'running', 'succeeded', 'failed', 'interrupted', 'crashed', 'cancelled')),
        graph        TEXT NOT NULL,
        targets      TEXT NOT NULL,
        extra        TEXT NOT NULL,
        submitted_at REAL NOT NULL,
        started_at   REAL,
        ended_at     REAL,
        attempt      INTEGER NOT NULL DEFAULT 0,
        worker       TEXT,
        fence        INTEGER NOT NULL DEFAULT 0,
        beat_at      REAL,
        filed        INTEGER,
        shown        INTEGER NOT NULL DEFAULT 0,
        outputs      TEXT,
        status       TEXT,
        meta         TEXT
    );
    CREATE INDEX jobs_waiting ON jobs (number, arrival) WHERE state = 'queued';
    CREATE INDEX jobs_running ON jobs (arrival) WHERE state = 'running';
    CREATE INDEX jobs_filed ON jobs (filed) WHERE filed IS NOT NULL;
    CREATE INDEX jobs_shown ON jobs (filed) WHERE shown = 1;
    CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
    # 2: what the job API adds. The words of a job are what its graph holds as text or number (a link's are in lists,
    # and left out) and its title; a graph beyond a megabyte is not searched. A webhook falls due in the same
    # transaction that ends its job, whatever ended it.
    """
    ALTER TABLE jobs ADD COLUMN batch TEXT;
    ALTER TABLE jobs ADD COLUMN title TEXT;
    ALTER TABLE jobs ADD COLUMN reason TEXT;
    CREATE INDEX jobs_by_state ON jobs (state, arrival);
    CREATE INDEX jobs_by_batch ON jobs (batch, arrival) WHERE batch IS NOT NULL;

    CREATE VIRTUAL TABLE job_words USING fts5 (words);
    INSERT INTO job_words (rowid, words)
        SELECT arrival, (SELECT group_concat(atom, ' ') FROM json_tree(graph) WHERE typeof(key) = 'text')
        FROM jobs WHERE length(graph) < 1000000;
    CREATE TRIGGER job_came AFTER INSERT ON jobs WHEN length(NEW.graph) < 1000000 BEGIN
        INSERT INTO job_words (rowid, words) VALUES (NEW.arrival, coalesce(NEW.title, '') || ' ' || coalesce(
            (SELECT group_concat(atom, ' ') FROM json_tree(NEW.graph) WHERE typeof(key) = 'text'), ''));
    END;
    CREATE TRIGGER job_went AFTER DELETE ON jobs BEGIN
        DELETE FROM job_words WHERE rowid = OLD.arrival;
    END;

    CREATE TABLE submissions (
        key    TEXT PRIMARY KEY,
        digest TEXT NOT NULL,
        jobs   TEXT NOT NULL,
        at     REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX submissions_by_age ON submissions (at);

    CREATE TABLE webhooks (
        number INTEGER PRIMARY KEY,
        job    TEXT NOT NULL,
        url    TEXT NOT NULL,
        secret TEXT,
        ended  REAL,
        due_at REAL,
        tries  INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX webhooks_by_job ON webhooks (job);
    CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;
    CREATE TRIGGER job_ended AFTER UPDATE OF state ON jobs
        WHEN NEW.state NOT IN ('queued', 'running') AND OLD.state IN ('queued', 'running') BEGIN
        UPDATE webhooks SET ended = NEW.ended_at, due_at = NEW.ended_at WHERE job = NEW.id AND ended IS NULL;
    END;

    CREATE TABLE workflows (
        name       TEXT PRIMARY KEY,
        content    TEXT NOT NULL,
        changed_at REAL NOT NULL
    ) WITHOUT ROWID;
    """,
    # 3: lists are read from an index that holds all they show: behind a large graph the rest of its row is far away.
    """
    CREATE INDEX jobs_listed ON jobs
        (arrival, id, number, state, batch, title, reason, attempt, submitted_at, started_at, ended_at);
    """,
)
