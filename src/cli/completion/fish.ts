// Fish asks with its words, quotes taken off but for the last one, and chooses among the
// candidates itself; it shows what stands behind a tab.

import { unquote } from './lexer.ts';
import type { Complete, Shell } from './shell.ts';

const SCRIPT = `# Completion of queuectl for fish.
# Now:     queuectl completion fish | source
# Always:  queuectl completion fish > ~/.config/fish/completions/queuectl.fish

function __queuectl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    # The executable that the line names; for an alias the one in PATH.
    set -l program (command -s -- $words[1]); or set program queuectl
    set -e words[1]
    set -l reply (command $program __complete fish -- $words "$current" </dev/null 2>/dev/null)
    or return
    set -l kind $reply[1]
    set -l prefix $reply[2]
    set -l value $reply[3]
    set -e reply[1..3]
    switch $kind
        case words
            test (count $reply) -gt 0; and printf '%s\\n' $reply
        case files arguments
            for path in (__fish_complete_path "$value")
                printf '%s\\n' "$prefix$path"
            end
        case directories
            for path in (__fish_complete_directories "$value" '')
                printf '%s\\n' "$prefix$path"
            end
        case commands
            complete -C "$current"
    end
end

complete -c queuectl -e
complete -c queuectl -f -k -a '(__queuectl_complete)'
`;

async function answer(args: readonly string[], complete: Complete): Promise<string> {
  const current = unquote(args.at(-1) ?? '');
  const { kind, prefix, value, candidates } = await complete(args.slice(0, -1), current);
  const lines = candidates.map(({ value: word, description }) =>
    description === '' ? word : `${word}\t${description}`,
  );
  return [kind, prefix, value, ...lines, ''].join('\n');
}

export const shell: Shell = { script: SCRIPT, answer };
