// Zsh asks with its words as they were typed, and chooses among the candidates itself.

import { unquote } from './lexer.ts';
import type { Complete, Shell } from './shell.ts';

const SCRIPT = `#compdef queuectl
# Completion of queuectl for zsh.
# Now:     source <(queuectl completion zsh)      (after compinit)
# Always:  that line in ~/.zshrc after compinit; or, in a directory of $fpath:
#          queuectl completion zsh > ~/.zfunc/_queuectl

_queuectl() {
  local program reply kind prefix
  local -a lines
  # The executable that the line names, else the one in PATH.
  program=\${(Q)words[1]}
  program=\${program/#\\~\\//$HOME/}
  whence -p -- "$program" >/dev/null || program=queuectl
  reply=$(command "$program" __complete zsh -- "\${(@)words[2,CURRENT-1]}" "$PREFIX" \\
    </dev/null 2>/dev/null) || return 1
  lines=("\${(@f)reply}")
  kind=\${lines[1]}
  prefix=\${lines[2]}
  lines=("\${(@)lines[3,-1]}")
  case $kind in
    words)
      (( \${#lines} )) && _describe -V -t queuectl-values 'queuectl' lines
      ;;
    files|directories)
      [[ -n $prefix ]] && compset -P "\${(b)prefix}"
      if [[ $kind == files ]]; then _files; else _files -/; fi
      ;;
    commands|arguments)
      # What follows -- is completed as if it stood at the prompt.
      local -i skip=\${words[(ie)--]}
      shift skip words
      (( CURRENT -= skip ))
      _normal
      ;;
    *) return 1 ;;
  esac
}

if [[ \${funcstack[1]} == _queuectl ]]; then
  _queuectl "$@"
elif (( $+functions[compdef] )); then
  compdef _queuectl queuectl
else
  print -u2 'queuectl: run "autoload -Uz compinit && compinit" before loading its completion'
fi
`;

async function answer(args: readonly string[], complete: Complete): Promise<string> {
  const words = args.map(unquote);
  const { kind, prefix, candidates } = await complete(words.slice(0, -1), words.at(-1) ?? '');
  const lines = candidates.map(({ value, description }) =>
    [value, description]
      .filter((text) => text !== '')
      .map((text) => text.replaceAll(/[\\:]/g, '\\$&'))
      .join(':'),
  );
  return [kind, prefix, ...lines, ''].join('\n');
}

export const shell: Shell = { script: SCRIPT, answer };
