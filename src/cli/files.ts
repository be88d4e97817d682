// Files that people name on the command line: read in chunks, refused in their words.

import { open } from 'node:fs/promises';
import { QueuectlError } from '../errors.ts';
import { reasonOf } from './reason.ts';

const CHUNK = 1024 * 1024;

export interface InputFile {
  /** Bytes, where it is a file that has a size; null for a pipe or device. */
  readonly size: number | null;
  readonly chunks: AsyncIterable<Uint8Array>;
}

export async function openInput(path: string): Promise<InputFile> {
  try {
    const file = await open(path);
    const stat = await file.stat();
    // Reading a directory fails only later, and less clearly.
    if (stat.isDirectory()) {
      await file.close();
      throw new QueuectlError('invalid', `cannot read ${path}: it is a directory`);
    }
    return { size: stat.isFile() ? stat.size : null, chunks: chunksOf(file, path) };
  } catch (error) {
    throw cannotRead(path, error);
  }
}

async function* chunksOf(
  file: Awaited<ReturnType<typeof open>>,
  path: string,
): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK), 0, CHUNK, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (error) {
    throw cannotRead(path, error);
  } finally {
    await file.close();
  }
}

function cannotRead(path: string, error: unknown): QueuectlError {
  if (error instanceof QueuectlError) return error;
  return new QueuectlError('invalid', `cannot read ${path}: ${reasonOf(error)}`, { cause: error });
}
