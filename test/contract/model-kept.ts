// Histories that once found something, run before all others and one by one. Where a random
// history fails, the test prints it, shrunk, as an entry to add here. They are kept as they
// are and not as seeds, which mean something else as soon as the generators change.

import type { Command } from './model-commands.ts';

interface KeptHistory {
  /** What was wrong, as a title. */
  readonly found: string;
  /** One command a line. */
  readonly history: string;
}

const KEPT: readonly KeptHistory[] = [
  {
    found: 'the contract promised of stats what nobody can know once the clock was set back',
    history: `
{"do":"enqueue","via":0,"jobs":[{"id":null,"queue":1,"priority":1,"when":{"delay":0,"runAt":null},"maxRetries":null,"timeout":null}],"ifAbsent":true}
{"do":"wall clock jumps","ms":-1000}
{"do":"look at everything","via":0}
{"do":"turn","worker":0,"ended":[],"slots":1,"lease":10000,"backoff":{"base":2,"max":20000}}
{"do":"look at everything","via":1}
`,
  },
  {
    found: 'a store broken on purpose: the key of a job that was deleted was given to the next one',
    history: `
{"do":"enqueue","via":1,"jobs":[{"id":null,"queue":1,"priority":-1,"when":{"delay":null,"runAt":null},"maxRetries":0,"timeout":null}],"ifAbsent":false}
{"do":"turn","worker":0,"ended":[],"slots":3,"lease":10000,"backoff":{"base":2,"max":20000}}
{"do":"turn","worker":27,"ended":[{"attempt":{"of":"running","n":24,"forged":null},"outcome":6,"random":0.999,"logBytes":4}],"slots":3,"lease":10000,"backoff":{"base":1,"max":0}}
{"do":"deleteFound","via":0,"limit":2,"states":["dead"],"queue":null,"age":null,"since":null,"until":null,"after":null,"upTo":0,"changes":{}}
{"do":"enqueue","via":1,"jobs":[{"id":10,"queue":2,"priority":-1,"when":{"delay":5000,"runAt":null},"maxRetries":0,"timeout":null}],"ifAbsent":true}
`,
  },
  {
    found:
      'a store broken on purpose: run tokens counted from what is stored, and began again after a deletion',
    history: `
{"do":"enqueue","via":0,"jobs":[{"id":13,"queue":0,"priority":0,"when":{"delay":null,"runAt":null},"maxRetries":0,"timeout":5000}],"ifAbsent":false}
{"do":"turn","worker":1,"ended":[],"slots":3,"lease":10000,"backoff":{"base":1.5,"max":3600000}}
{"do":"turn","worker":0,"ended":[{"attempt":{"of":"overtaken","n":0,"forged":null},"outcome":7,"random":0,"logBytes":8}],"slots":3,"lease":10000,"backoff":{"base":1.5,"max":3600000}}
{"do":"enqueue","via":1,"jobs":[{"id":3,"queue":0,"priority":0,"when":{"delay":0,"runAt":null},"maxRetries":0,"timeout":null}],"ifAbsent":true}
{"do":"time goes by","ms":30000}
{"do":"deleteFound","via":0,"limit":2,"states":["dead"],"queue":null,"age":0,"since":null,"until":null,"after":null,"upTo":null,"changes":{}}
{"do":"turn","worker":1,"ended":[],"slots":3,"lease":60000,"backoff":{"base":2,"max":20000}}
`,
  },
  {
    found:
      'a store broken on purpose: an attempt that had ended was ended again, over the one that runs',
    history: `
{"do":"crash","worker":2,"supervised":false}
{"do":"replace","worker":1,"supervised":false}
{"do":"enqueue","via":0,"jobs":[{"id":null,"queue":1,"priority":0,"when":{"delay":null,"runAt":null},"maxRetries":2,"timeout":5000},{"id":null,"queue":0,"priority":1,"when":{"delay":null,"runAt":0},"maxRetries":null,"timeout":0}],"ifAbsent":false}
{"do":"enqueue","via":1,"jobs":[{"id":null,"queue":2,"priority":0,"when":{"delay":null,"runAt":null},"maxRetries":0,"timeout":0}],"ifAbsent":false}
{"do":"turn","worker":1,"ended":[],"slots":1,"lease":10000,"backoff":{"base":1,"max":0}}
{"do":"replace","worker":1,"supervised":true}
{"do":"turn","worker":3,"ended":[],"slots":1,"lease":60000,"backoff":{"base":1.5,"max":3600000}}
{"do":"recover from crashes","via":1,"random":0,"backoff":{"base":1,"max":0}}
{"do":"enqueue","via":1,"jobs":[{"id":null,"queue":1,"priority":0,"when":{"delay":null,"runAt":null},"maxRetries":1,"timeout":0}],"ifAbsent":false}
{"do":"turn","worker":2,"ended":[],"slots":3,"lease":60000,"backoff":{"base":2,"max":20000}}
{"do":"turn","worker":51,"ended":[{"attempt":{"of":"any","n":46,"forged":null},"outcome":3,"random":0,"logBytes":2}],"slots":1,"lease":10000,"backoff":{"base":2,"max":20000}}
`,
  },
  {
    found:
      'a store broken on purpose: the flag of a cancel was not read where the result is written',
    history: `
{"do":"enqueue","via":0,"jobs":[{"id":null,"queue":0,"priority":0,"when":{"delay":null,"runAt":null},"maxRetries":1,"timeout":null},{"id":3,"queue":0,"priority":0,"when":{"delay":null,"runAt":null},"maxRetries":0,"timeout":5000}],"ifAbsent":false}
{"do":"turn","worker":1,"ended":[],"slots":3,"lease":10000,"backoff":{"base":1.5,"max":3600000}}
{"do":"turn","worker":0,"ended":[{"attempt":{"of":"deleted","n":47,"forged":null},"outcome":4,"random":0.5,"logBytes":6}],"slots":3,"lease":10000,"backoff":{"base":1.5,"max":3600000}}
{"do":"cancel","via":0,"jobs":[{"in":"any","n":58}]}
{"do":"turn","worker":0,"ended":[{"attempt":{"of":"running","n":3,"forged":null},"outcome":2,"random":0.999,"logBytes":6}],"slots":1,"lease":10000,"backoff":{"base":2,"max":20000}}
`,
  },
  {
    found: 'a store broken on purpose: "died before" took in who died at that very moment',
    history: `
{"do":"enqueue","via":1,"jobs":[{"id":null,"queue":0,"priority":1,"when":{"delay":null,"runAt":0},"maxRetries":0,"timeout":null}],"ifAbsent":false}
{"do":"turn","worker":1,"ended":[],"slots":1,"lease":10000,"backoff":{"base":2,"max":20000}}
{"do":"turn","worker":38,"ended":[{"attempt":{"of":"ended","n":50,"forged":null},"outcome":4,"random":0.5,"logBytes":2}],"slots":0,"lease":10000,"backoff":{"base":2,"max":20000}}
{"do":"deleteFound","via":0,"limit":1,"states":["dead"],"queue":null,"age":0,"since":null,"until":null,"after":null,"upTo":5,"changes":{}}
`,
  },
];

export function keptHistories(): { found: string; history: Command[] }[] {
  return KEPT.map(({ found, history }) => ({
    found,
    history: history
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Command),
  }));
}
