// Another process at work on the same database. It loads a backend, then does what it is
// told, one line of JSON after the other, in order. Started by peers.ts, never by hand.

import { createInterface } from 'node:readline';
import { systemEnv } from '../../src/env.ts';
import { QueuectlError } from '../../src/errors.ts';
import type { Ended, Store } from '../../src/store/store.ts';
import { stepOnDead } from './values.ts';
import type { Backend } from './backend.ts';
import type { Answer, DeadLoop, Drained, Order } from './peers.ts';

async function main(module: string, address: string): Promise<void> {
  const { default: backend } = (await import(module)) as { default: Backend };
  let store: Store | undefined;
  const orders = createInterface({ input: process.stdin });
  // Whoever gave the order is gone: nobody waits for its end.
  let busy = false;
  orders.on('close', () => busy && process.exit(1));
  answer({ ready: true });
  for await (const line of orders) {
    const order = JSON.parse(line) as Order;
    busy = true;
    try {
      if (order.do === 'open') {
        if (order.uid !== undefined) become(order.uid);
        store = await backend.open(address, { env: systemEnv, patience: order.patience });
        answer({ result: store.databaseId });
      } else if (store === undefined) {
        throw new Error('not open');
      } else if (order.do === 'call') {
        const { method, args } = order;
        const result = await (store[method] as (...rest: unknown[]) => Promise<unknown>)(...args);
        answer({ result });
      } else if (order.do === 'drain') {
        answer({ result: await drain(store, order.slots) });
      } else {
        answer({ result: await retryAllDead(store, order.upTo) });
      }
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const code = error instanceof QueuectlError ? error.code : null;
      answer({ error: { code, message: error.message, stack: error.stack ?? '' } });
    }
    busy = false;
  }
  await store?.close();
}

function answer(line: Answer): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** For good: root gives itself up. */
function become(uid: number): void {
  process.setgroups?.([]);
  process.setgid?.(uid);
  process.setuid?.(uid);
}

/** Claims and completes until nothing is left, and tells what it ran. */
async function drain(store: Store, slots: number): Promise<Drained> {
  const identity = {
    host: 'here',
    bootId: 'boot',
    pidNamespace: '',
    pid: process.pid,
    startTime: '1',
  };
  const { key } = await store.registerWorker({
    identity,
    supervisor: null,
    queues: null,
    concurrency: slots,
  });
  await store.workerReady(key);
  const ran: { id: string; number: number; runToken: number }[] = [];
  let stale = 0;
  let ended: Ended[] = [];
  for (;;) {
    const backoff = { base: 1, max: 0 };
    const turn = await store.turn({ worker: key, ended, backoff, slots, lease: 60_000 });
    stale += turn.recorded.filter((recorded) => recorded.stale).length;
    if (turn.claimed.length === 0 && !(await store.attend(key)).unfinished) break;
    for (const { id, number, runToken } of turn.claimed) ran.push({ id, number, runToken });
    ended = turn.claimed.map((attempt) => ({
      attempt,
      outcome: { kind: 'exited', code: 0 },
      logBytes: 0,
      random: 0,
    }));
    if (ended.length === 0) await systemEnv.sleep(1);
  }
  await store.endWorker(key, 'drained');
  return { ran, stale };
}

/** As two people do who press "retry all" at the same moment. */
async function retryAllDead(store: Store, upTo: number): Promise<DeadLoop> {
  const keys: number[] = [];
  let after = 0;
  for (;;) {
    const { found, acted } = await stepOnDead(store, 'retryFound', { after, upTo, limit: 20 });
    keys.push(...acted);
    if (found.length < 20) return { keys };
    after = found.at(-1) ?? upTo;
  }
}

const [module, address] = process.argv.slice(2);
if (module !== undefined && address !== undefined) await main(module, address);
