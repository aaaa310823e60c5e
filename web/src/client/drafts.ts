/** Drafts in the browser: every change is appended, nothing is overwritten, the oldest of many are dropped. */

import { type DBSchema, type IDBPDatabase, openDB } from "idb";

export interface Draft {
  readonly document: string;
  readonly time: number;
  readonly name: string | null;
  /** The workflow file. */
  readonly file: string;
}

interface Schema extends DBSchema {
  drafts: { key: [string, number]; value: Draft; indexes: { time: number } };
}

const KEEP = 30;

export class Drafts {
  private readonly database: Promise<IDBPDatabase<Schema> | null>;

  constructor() {
    // Private windows may refuse: then there are no drafts, and the page works without.
    this.database = openDB<Schema>("heddle", 1, {
      upgrade(db) {
        db.createObjectStore("drafts", { keyPath: ["document", "time"] }).createIndex("time", "time");
      },
    }).catch(() => null);
  }

  async append(draft: Draft): Promise<void> {
    const db = await this.database;
    if (!db) return;
    await db.put("drafts", draft);
    const keys = await db.getAllKeys("drafts", IDBKeyRange.bound([draft.document, 0], [draft.document, Infinity]));
    for (const key of keys.slice(0, -KEEP)) await db.delete("drafts", key);
  }

  async latest(document: string): Promise<Draft | null> {
    const versions = await this.versions(document);
    return versions[0] ?? null;
  }

  /** Newest first. */
  async versions(document: string): Promise<readonly Draft[]> {
    const db = await this.database;
    if (!db) return [];
    const all = await db.getAll("drafts", IDBKeyRange.bound([document, 0], [document, Infinity]));
    return all.reverse();
  }
}
