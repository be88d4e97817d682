// queuectl completion SHELL: the script that teaches a shell to complete queuectl.

import { QueuectlError } from '../../errors.ts';
import { defineCommand } from '../command.ts';
import { findShell, SHELL_NAMES } from '../completion/shells.ts';
import { usage } from '../parse.ts';
import { didYouMean } from '../suggest.ts';
import { enumerate } from '../text.ts';

export const command = defineCommand({
  summary: 'print the completion script of a shell',
  usage: [`completion ${SHELL_NAMES.join('|')}`],
  about: [
    'TAB then completes commands, flags, states, queues, settings and the ids of jobs that the\n' +
      'command can act on, newest first. The script asks the executable that the line names, or\n' +
      'for an alias the queuectl in PATH; nothing on the line is run for it.',
    'For good:\n' +
      "  bash        echo 'source <(queuectl completion bash)' >> ~/.bashrc\n" +
      "  zsh         echo 'source <(queuectl completion zsh)' >> ~/.zshrc    (after compinit)\n" +
      '  fish        queuectl completion fish > ~/.config/fish/completions/queuectl.fish\n' +
      '  powershell  queuectl completion powershell | Out-String | Invoke-Expression\n' +
      '              in the file that $PROFILE names',
  ],
  flags: {},
  operands: { min: 1, max: 1, name: 'shell', choices: SHELL_NAMES },
  examples: [
    ['source <(queuectl completion bash)', 'in the bash or zsh that is running'],
    ['queuectl completion fish | source', 'in fish'],
  ],
  async run({ operands, io }) {
    const [name = ''] = operands;
    const shell = await findShell(name);
    if (shell === null) {
      const known = enumerate(SHELL_NAMES, 'or');
      throw new QueuectlError(
        'usage',
        `completion is for ${known}, not ${JSON.stringify(name)}${didYouMean(name, SHELL_NAMES)}`,
        { hint: 'queuectl completion bash' },
      );
    }
    if (io.json) throw usage('a script has no JSON answer', 'completion');
    io.context.stdout.write(shell.script);
    return 0;
  },
});
