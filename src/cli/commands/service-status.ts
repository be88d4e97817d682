// queuectl service status: whether the workers start at boot, and run now.

import { resolveSettings } from '../../config.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import { quote } from '../../platform/shell.ts';
import type { Io } from '../io.ts';
import { withQueue } from '../open.ts';
import { runTool, systemctl, type Unit, unitOf, whyNoManager } from '../service.ts';
import { visible } from '../text.ts';

export const command = defineCommand({
  summary: 'show whether the workers start at boot',
  usage: ['service status'],
  flags: {},
  operands: NO_OPERANDS,
  examples: [
    ['queuectl service status', 'installed, enabled, running?'],
    ['queuectl service status --json | jq .active', 'for monitoring'],
  ],
  async run({ io }) {
    const unit = unitOf(io);
    const { name, file, found } = unit;
    const why = await whyNoManager(io.context);
    const ask = async (verb: string): Promise<string | null> => {
      if (why !== null) return null;
      // Its exit code repeats the word.
      return (await runTool(systemctl(verb, name), io.context)).stdout.trim() || null;
    };
    const status = {
      unit: name,
      file,
      installed: found !== undefined && found !== null,
      database: found?.database ?? null,
      workers: found?.arguments ?? null,
      enabled: await ask('is-enabled'),
      active: await ask('is-active'),
      lingers: why === null ? await lingers(io) : null,
    };
    if (io.json) {
      io.printJson(status);
      return 0;
    }
    const installed =
      found === null ? 'no: the file there was not written by queuectl' : yesNo(status.installed);
    const rows = [
      ['unit', name],
      ['file', file],
      ['installed', installed],
      ['database', status.database ?? '-'],
      ['workers', status.workers?.join(' ') ?? '-'],
      ['enabled', status.enabled ?? '-'],
      ['active', status.active ?? '-'],
      ['at boot', status.lingers === false ? 'no: only while you are logged in' : '-'],
    ] as const;
    for (const [label, value] of rows) {
      if (label === 'at boot' && value === '-') continue;
      io.print(`${label.padEnd(11)}${visible(value)}`);
    }
    if (why !== null) io.note(visible(`note: ${why}`));
    if (status.lingers === false) io.note('hint: loginctl enable-linger');
    await tellShortStop(unit, io);
    return 0;
  },
});

const yesNo = (value: boolean): string => (value ? 'yes' : 'no');

/** Whether services of this user run without a login; null: it does not say. */
async function lingers({ context }: Io): Promise<boolean | null> {
  const user = context.env['USER'] ?? context.env['LOGNAME'];
  const of = ['loginctl', 'show-user', ...(user ? [user] : []), '--property=Linger', '--value'];
  const { code, stdout } = await runTool(of, context);
  return code === 0 ? stdout.trim() === 'yes' : null;
}

/** systemd would kill what the settings let go on. */
async function tellShortStop({ found, database }: Unit, io: Io): Promise<void> {
  const stopWithin = found?.stopWithin ?? null;
  if (!found || stopWithin === null || found.database !== database) return;
  const stored = await withQueue(io, async ({ queue }) => await queue.store.settings());
  const { grace, killAfter } = resolveSettings(stored);
  if (grace + killAfter <= stopWithin) return;
  io.warn('the settings grace and kill_after are longer than the unit leaves for stopping');
  const named = io.db === undefined ? [] : ['--db', database];
  io.note(`hint: ${quote(['queuectl', ...named, 'service', 'install', ...found.arguments])}`);
}
