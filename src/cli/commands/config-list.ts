// queuectl config list: every setting with its value, and whether somebody set it.

import { queuesWith, SETTING_NAMES, SETTINGS, type SettingName, storedName } from '../../config.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import { withQueue } from '../open.ts';
import { labelOf } from '../queue-setting.ts';
import { Table } from '../table.ts';

interface Row {
  readonly name: SettingName;
  /** Null: for all queues. */
  readonly queue: string | null;
  readonly value: string;
  readonly isSet: boolean;
}

export const command = defineCommand({
  summary: 'show all settings',
  usage: ['config list'],
  flags: {},
  operands: NO_OPERANDS,
  examples: [['queuectl config list', 'every setting and what it does']],
  async run({ io }) {
    const stored = await withQueue(io, async ({ queue }) => await queue.store.settings());
    const rows = SETTING_NAMES.flatMap((name) => [
      settingRow(name, null, stored),
      ...queuesWith(name, stored).map((queue) => settingRow(name, queue, stored)),
    ]);
    if (io.json) {
      io.printJson(rows.map(rowJson));
      return 0;
    }
    const { style } = io;
    const table = new Table<Row>(
      [
        { title: 'SETTING', text: ({ name, queue }) => labelOf(name, queue) },
        {
          title: 'VALUE',
          text: ({ value }) => value,
          paint: (text, { isSet }) => (isSet ? style.good(text) : text),
        },
        { title: 'DEFAULT', text: ({ name }) => SETTINGS[name].fallbackText, dispensable: 1 },
        { title: 'WHAT IT IS', text: ({ name }) => SETTINGS[name].help, stretch: true },
      ],
      style,
      io.context.stdout.columns,
    );
    io.print((await table.page(rows)).join('\n'));
    return 0;
  },
});

function settingRow(
  name: SettingName,
  queue: string | null,
  stored: ReadonlyMap<string, string>,
): Row {
  const text = stored.get(storedName(name, queue));
  // What another version stored and this one cannot read counts as not set.
  const value = text === undefined ? undefined : SETTINGS[name].normalize(text);
  const isSet = value !== undefined;
  return { name, queue, value: value ?? SETTINGS[name].fallbackText, isSet };
}

function rowJson({ name, queue, value, isSet }: Row): Record<string, unknown> {
  const { toJson, fallbackText, help } = SETTINGS[name];
  return {
    name,
    queue,
    value: toJson(value) ?? null,
    default: toJson(fallbackText) ?? null,
    is_set: isSet,
    help,
  };
}
