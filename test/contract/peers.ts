// Starting other processes (peer.ts) and telling them what to do.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Store } from '../../src/store/store.ts';
import type { Backend } from './backend.ts';

export type Order =
  | { readonly do: 'open'; readonly patience: number; readonly uid?: number }
  | { readonly do: 'call'; readonly method: keyof Methods; readonly args: readonly unknown[] }
  | { readonly do: 'drain'; readonly slots: number }
  | { readonly do: 'retryAllDead'; readonly upTo: number };

export type Answer =
  | { readonly ready: true }
  | { readonly result: unknown }
  | { readonly error: PeerError };

interface PeerError {
  /** Of a QueuectlError, else null. */
  readonly code: string | null;
  readonly message: string;
  readonly stack: string;
}

export interface Drained {
  readonly ran: readonly {
    readonly id: string;
    readonly number: number;
    readonly runToken: number;
  }[];
  readonly stale: number;
}

export interface DeadLoop {
  readonly keys: readonly number[];
}

/** What of a store can be called through JSON. */
type Methods = Omit<Store, 'databaseId' | 'oneMachine' | 'watch' | 'settings'>;

/** What a peer's store rejected with; `code` as in QueuectlError. */
export class PeerRejection extends Error {
  readonly code: string | null;
  constructor(error: PeerError) {
    super(error.code === null ? `peer: ${error.stack}` : error.message);
    this.code = error.code;
  }
}

const PROGRAM = fileURLToPath(new URL('peer.ts', import.meta.url));
const PATIENCE_MS = 60_000;

export class Peer {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  /** Orders not yet answered, oldest first. */
  readonly #waiting: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = [];

  private constructor(child: ChildProcess, lines: Interface) {
    this.#child = child;
    this.#lines = lines;
    lines.on('line', (line) => this.#answered(JSON.parse(line) as Answer));
    lines.on('close', () => {
      for (const { reject } of this.#waiting.splice(0)) reject(new Error('the peer is gone'));
    });
  }

  /** Starts a process that has loaded everything and not yet opened the database. */
  static async start(backend: Backend, address: string): Promise<Peer> {
    const child = spawn(process.execPath, [PROGRAM, backend.module, address], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin?.on('error', () => {
      // It is gone: whoever waits for an answer learns it from the closed output.
    });
    if (child.stdout === null) throw new Error('no pipe');
    const peer = new Peer(child, createInterface({ input: child.stdout }));
    await peer.#next();
    return peer;
  }

  /** Resolves with the database's id. */
  async open(options: { readonly uid?: number; readonly patience?: number } = {}): Promise<string> {
    return (await this.#order({ do: 'open', patience: PATIENCE_MS, ...options })) as string;
  }

  /** Calls one method of its store. Calls are done in order, so they may be queued up. */
  async call<M extends keyof Methods>(
    method: M,
    ...args: Parameters<Methods[M]>
  ): Promise<Awaited<ReturnType<Methods[M]>>> {
    const result = await this.#order({ do: 'call', method, args });
    return result as Awaited<ReturnType<Methods[M]>>;
  }

  async drain(slots: number): Promise<Drained> {
    return (await this.#order({ do: 'drain', slots })) as Drained;
  }

  async retryAllDead(upTo: number): Promise<DeadLoop> {
    return (await this.#order({ do: 'retryAllDead', upTo })) as DeadLoop;
  }

  /** Lets it close its store and waits until it is gone. */
  async end(): Promise<void> {
    this.#child.stdin?.end();
    await this.#gone();
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#gone();
  }

  async #gone(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      await once(this.#child, 'exit');
    }
    this.#lines.close();
  }

  #order(order: Order): Promise<unknown> {
    const answered = this.#next();
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    return answered;
  }

  #next(): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  #answered(answer: Answer): void {
    const waiting = this.#waiting.shift();
    if ('error' in answer) waiting?.reject(new PeerRejection(answer.error));
    else waiting?.resolve('result' in answer ? answer.result : undefined);
  }
}
