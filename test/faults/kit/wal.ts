// The anatomy of a write-ahead log, and what a power cut may make of its end. Fault 5.
// https://sqlite.org/walformat.html: a header of 32 bytes, then frames of 24 bytes and a page.

import type { Chance } from '../../fixtures/random.ts';

const HEADER = 32;
const FRAME_HEADER = 24;
const PAGE = 4096;
const FRAME = FRAME_HEADER + PAGE;
/** What a disk writes as a whole. */
const SECTOR = 512;

/** Where frames end, the header too; those that an earlier round has left behind included. */
export function boundaries(wal: Buffer): number[] {
  const ends: number[] = [];
  for (let at = HEADER; at <= wal.length; at += FRAME) ends.push(at);
  return ends;
}

/** Bytes up to the end of the last transaction that was committed in this round of the WAL. */
export function committed(wal: Buffer): number {
  const salts = wal.subarray(16, 24);
  let end = HEADER;
  for (let at = HEADER; at + FRAME <= wal.length; at += FRAME) {
    if (!wal.subarray(at + 8, at + 16).equals(salts)) break;
    // The size of the database after the commit; 0 in all frames but a commit's last.
    if (wal.readUInt32BE(at + 4) > 0) end = at + FRAME;
  }
  return end;
}

export interface Torn {
  readonly what: string;
  readonly wal: Buffer;
}

/**
 * What may lie behind `from` instead of what was written and never synced: nothing of one
 * sector, a flipped byte in one frame, a file that grew before its bytes came.
 */
export function* torn(wal: Buffer, from: number, chance: Chance): Generator<Torn> {
  const end = committed(wal);
  const changed = (change: (copy: Buffer) => void): Buffer => {
    const copy = Buffer.from(wal);
    change(copy);
    return copy;
  };
  for (let at = Math.ceil(from / SECTOR) * SECTOR; at < end; at += SECTOR) {
    const copy = changed((bytes) => bytes.fill(0, at, Math.min(at + SECTOR, end)));
    yield { what: `the sector at ${at} was not written`, wal: copy };
  }
  for (let at = from; at < end; at += FRAME) {
    for (const [part, size] of [
      [0, FRAME_HEADER],
      [FRAME_HEADER, PAGE],
    ] as const) {
      const place = at + part + chance.between(0, size - 1);
      const copy = changed((bytes) => (bytes[place] = (bytes[place] ?? 0) ^ 0x10));
      yield { what: `a bit at ${place} flipped`, wal: copy };
    }
  }
  for (let i = 0; i < 20; i += 1) {
    const cut = chance.between(from, end);
    const more = Buffer.alloc(chance.between(1, 3 * FRAME));
    const kept = wal.subarray(0, cut);
    yield { what: `zeros after ${cut}`, wal: Buffer.concat([kept, more]) };
    for (let at = 0; at < more.length; at += 1) more[at] = chance.between(0, 255);
    yield { what: `garbage after ${cut}`, wal: Buffer.concat([kept, more]) };
    // The commit's frames in any order: some of the old ones stand where they stood.
    yield { what: `an old frame after ${cut}`, wal: Buffer.concat([kept, wal.subarray(0, FRAME)]) };
  }
}

/** A database that a checkpoint was writing: each sector as it was, or as it should be. */
export function halfCopied(before: Buffer, after: Buffer, chance: Chance): Buffer {
  const mixed = Buffer.from(after.subarray(0, Math.max(before.length, after.length)));
  for (let at = 0; at < before.length; at += SECTOR) {
    if (chance.happens(0.5)) before.copy(mixed, at, at, at + SECTOR);
  }
  return mixed;
}
