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
)
