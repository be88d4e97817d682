// queuectl service uninstall: stops and disables the unit, and removes the file that
// `service install` wrote. Invariant: the file goes last, so that what fails can be repeated.

import { readlinkSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { QueuectlError } from '../../errors.ts';
import { defineCommand, NO_OPERANDS } from '../command.ts';
import { quote } from '../../platform/shell.ts';
import { reasonOf } from '../reason.ts';
import { mustBeOurs, runTool, systemctl, type Unit, unitOf, whyNoManager } from '../service.ts';
import { visible } from '../text.ts';

export const command = defineCommand({
  summary: 'no longer start the workers at boot',
  usage: ['service uninstall'],
  about: [
    'Stops its workers, as systemctl stop does: attempts may go on for the setting grace, then\n' +
      'their jobs are given back. Jobs, logs and settings stay.',
  ],
  flags: {},
  operands: NO_OPERANDS,
  examples: [['queuectl service uninstall', 'the workers of this queue']],
  async run({ io }) {
    const unit = unitOf(io);
    const { name, file } = unit;
    if (unit.found === undefined) {
      throw new QueuectlError('not_found', `no service is installed: there is no ${file}`);
    }
    mustBeOurs(unit, false);
    const why = await whyNoManager(io.context);
    if (why === null) {
      io.note('Stopping the workers …');
      const stop = systemctl('disable', '--now', name);
      const { code, stderr } = await runTool(stop, io.context);
      if (code !== 0) {
        const [line = `exit code ${code}`] = stderr.split('\n', 1);
        throw new QueuectlError('unavailable', `${quote(stop)}: ${line}`, {
          hint: 'the unit is still installed; try again',
        });
      }
    }
    remove(unit);
    if (why === null) await runTool(systemctl('daemon-reload'), io.context);
    if (io.json) io.printJson({ unit: name, file, stopped: why === null });
    else if (!io.quiet) io.print(`Removed ${visible(file)}`);
    if (why !== null) {
      io.warn(visible(why));
      io.note('hint: workers that run go on; queuectl worker stop stops them');
    }
    return 0;
  },
});

function remove({ name, file }: Unit): void {
  try {
    // What `systemctl enable` made, where no systemd could take it back.
    const wanted = join(dirname(file), 'default.target.wants', name);
    if (leadsTo(wanted, file)) rmSync(wanted);
    rmSync(file);
  } catch (error) {
    throw new QueuectlError('unavailable', `cannot remove ${file}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function leadsTo(link: string, file: string): boolean {
  try {
    return readlinkSync(link) === file;
  } catch {
    return false;
  }
}
