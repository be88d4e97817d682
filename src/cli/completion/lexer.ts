// A command line as it was typed → its words, quotes taken off. Nothing is expanded: what
// would be computed (`$(…)`, `$x`) stays as it stands. It reads what bash and zsh agree on.

export interface Line {
  /** Words before the cursor's, the program's name first. */
  readonly before: readonly string[];
  /** The cursor's word, up to the cursor. */
  readonly current: string;
  /** Characters of it that come before what the shell itself takes for the word. */
  readonly skip: number;
  /** The word is a file that input or output goes to. */
  readonly redirected: boolean;
}

/**
 * `line` ends at the cursor. `breaks` are the characters that begin a new word for the
 * completion of bash (COMP_WORDBREAKS), though not for its syntax.
 */
export function readLine(line: string, breaks: string): Line {
  let before: string[] = [];
  let current = '';
  let begun = false;
  let skip = 0;
  let redirected = false;
  const endWord = (): void => {
    if (begun && !redirected) before.push(current);
    if (begun) redirected = false;
    current = '';
    begun = false;
    skip = 0;
  };
  for (let i = 0; i < line.length;) {
    const c = line[i] ?? '';
    if (/\s/.test(c)) {
      endWord();
      i++;
    } else if (/[;|&]/.test(c) && line[i + 1] !== '>') {
      endWord();
      before = [];
      redirected = false;
      i++;
    } else if (/[<>&]/.test(c)) {
      // `2>`: the number is no word.
      if (/^\d+$/.test(current)) begun = false;
      endWord();
      while (/[<>&]/.test(line[i] ?? '')) i++;
      redirected = true;
    } else {
      const part = quotedPart(line, i) ?? { text: c, end: i + 1, open: false };
      begun = true;
      const isQuote = c === "'" || c === '"';
      if (isQuote && part.open) skip = current.length;
      const isBreak = part.end === i + 1 && breaks.includes(c);
      // The two that say what kind of word begins here are a part of it.
      if (isBreak && /[@$]/.test(c)) skip = current.length;
      current += part.text;
      if ((isQuote && !part.open) || (isBreak && !/[@$]/.test(c))) skip = current.length;
      i = part.end;
    }
  }
  return { before, current, skip, redirected };
}

/** One word as it was typed, without its quotes. */
export function unquote(word: string): string {
  let text = '';
  for (let i = 0; i < word.length;) {
    const part = quotedPart(word, i) ?? { text: word[i] ?? '', end: i + 1 };
    text += part.text;
    i = part.end;
  }
  return text;
}

interface Part {
  readonly text: string;
  readonly end: number;
  /** Its closing quote has not been typed yet. */
  readonly open: boolean;
}

/** What is quoted, escaped or to be computed from here on; null for a plain character. */
function quotedPart(line: string, from: number): Part | null {
  const c = line[from];
  if (c === '\\') return { text: line[from + 1] ?? '', end: from + 2, open: false };
  if (c === "'") {
    const end = line.indexOf("'", from + 1);
    if (end < 0) return { text: line.slice(from + 1), end: line.length, open: true };
    return { text: line.slice(from + 1, end), end: end + 1, open: false };
  }
  if (c === '"') return doubleQuoted(line, from);
  if (c === '`') return computed(line, from, '`');
  if (c === '$' && line[from + 1] === '(') return computed(line, from, ')');
  if (c === '$' && line[from + 1] === '{') return computed(line, from, '}');
  return null;
}

function doubleQuoted(line: string, from: number): Part {
  let text = '';
  for (let i = from + 1; i < line.length;) {
    const c = line[i] ?? '';
    if (c === '"') return { text, end: i + 1, open: false };
    if (c === '\\' && /["\\$`]/.test(line[i + 1] ?? '')) {
      text += line[i + 1] ?? '';
      i += 2;
    } else {
      const part = c === '$' || c === '`' ? quotedPart(line, i) : null;
      text += part?.text ?? c;
      i = part?.end ?? i + 1;
    }
  }
  return { text, end: line.length, open: true };
}

/** Up to its own end, whatever quotes and brackets are in it. */
function computed(line: string, from: number, closing: ')' | '}' | '`'): Part {
  let i = from + (closing === '`' ? 1 : 2);
  while (i < line.length && line[i] !== closing) {
    const part = line[i] === '(' && closing === ')' ? computed(line, i - 1, ')') : null;
    i = (part ?? quotedPart(line, i))?.end ?? i + 1;
  }
  const end = Math.min(i + 1, line.length);
  return { text: line.slice(from, end), end, open: false };
}
