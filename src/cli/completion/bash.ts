// Bash asks with its line up to the cursor, unread: how it cuts words for completion (at
// `:`, `=` and `@`, too) is not how it cuts arguments, so both are done here.

import { type Complete, fitting, type Shell } from './shell.ts';
import { readLine } from './lexer.ts';

const SCRIPT = `# Completion of queuectl for bash 4.4 or later.
# Now:     source <(queuectl completion bash)
# Always:  queuectl completion bash > ~/.local/share/bash-completion/completions/queuectl
#          or, without the package bash-completion, the first line in ~/.bashrc
# For an alias q:  complete -o nosort -F _queuectl q

_queuectl() {
  local program reply kind
  local -a lines=()
  COMPREPLY=()
  # The executable that the line names; for an alias the one in PATH.
  program=$(type -P -- "\${1/#'~/'/$HOME/}") || program=queuectl
  reply=$(command "$program" __complete bash -- "$COMP_WORDBREAKS" "\${COMP_LINE:0:COMP_POINT}" \\
    </dev/null 2>/dev/null) || return 0
  mapfile -t lines <<<"$reply"
  kind=\${lines[0]:-words}
  case $kind in
    words) COMPREPLY=("\${lines[@]:1}") ;;
    # Readline completes files itself where there is no other reply.
    files) compopt -o bashdefault -o default 2>/dev/null ;;
    directories) compopt -o filenames -o dirnames 2>/dev/null ;;
    commands)
      if [[ $2 == */* ]]; then
        compopt -o default 2>/dev/null
      else
        mapfile -t COMPREPLY < <(compgen -c -- "$2" | sort -u)
      fi
      ;;
  esac
  return 0
}

complete -o nosort -F _queuectl queuectl
`;

async function answer(args: readonly string[], complete: Complete): Promise<string> {
  const [breaks = '', line = ''] = args;
  const { before, current, skip, redirected } = readLine(line, breaks);
  if (redirected) return 'files\n';
  const found = await complete(before.slice(1), current);
  if (found.kind === 'arguments') return 'files\n';
  if (found.kind !== 'words') return `${found.kind}\n`;
  // A word of ours that is complete but for a value waits for it without a space.
  const words = fitting(found, current).map(({ value }) => value.slice(skip));
  return ['words', ...words, ''].join('\n');
}

export const shell: Shell = { script: SCRIPT, answer };
