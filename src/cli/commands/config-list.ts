// queuectl config list: every setting with its value, and whether somebody set it.

import { SETTING_NAMES, SETTINGS, type SettingName } from '../../config.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import { withQueue } from '../open.ts';
import { Table } from '../table.ts';

interface Row {
  readonly name: SettingName;
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
    const rows = SETTING_NAMES.map((name) => settingRow(name, stored));
    if (io.json) {
      io.printJson(rows.map(rowJson));
      return 0;
    }
    const { style } = io;
    const table = new Table<Row>(
      [
        { title: 'SETTING', text: ({ name }) => name },
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

function settingRow(name: SettingName, stored: ReadonlyMap<string, string>): Row {
  const text = stored.get(name);
  // What another version stored and this one cannot read counts as not set.
  const value = text === undefined ? undefined : SETTINGS[name].normalize(text);
  return { name, value: value ?? SETTINGS[name].fallbackText, isSet: value !== undefined };
}

function rowJson({ name, value, isSet }: Row): Record<string, unknown> {
  const { toJson, fallbackText, help } = SETTINGS[name];
  return {
    name,
    value: toJson(value) ?? null,
    default: toJson(fallbackText) ?? null,
    is_set: isSet,
    help,
  };
}
