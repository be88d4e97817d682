// What is known of a storm from outside the queue: what was asked and answered, what the
// commands wrote down themselves, what was done to whom; and what the database says after
// it. checker.ts holds the one to the other. Times are ms since 1970 of one clock.

/** One request of the driver about one job. */
export interface Asked {
  readonly verb: 'enqueue' | 'cancel' | 'retry';
  readonly id: string;
  /** Before it was sent. */
  readonly invokedAt: number;
  /** When the answer came; null: it never did. */
  readonly answeredAt: number | null;
  /** `unknown`: no answer, or one that says so; it may or may not have happened. */
  readonly answer: 'ok' | 'failed' | 'unknown';
  /** What an answer said: a cancel's `cancelled`, `cancel_requested` … */
  readonly result: string | null;
  /** Of an enqueue: the job's `run_at`. */
  readonly notBefore?: number;
}

/** A line that a job's command wrote. */
export interface Span {
  /** Start, end, or a start while something of another attempt of this job lived. */
  readonly what: 'S' | 'E' | 'OVERLAP';
  readonly id: string;
  readonly attempt: number;
  readonly at: number;
  /** Of an end: the exit code. */
  readonly code: number;
}

/** A process of the queue that was killed. */
export interface Killed {
  readonly pid: number;
  readonly at: number;
  /** In a word or two: whoever should have noticed first. */
  readonly under?: string;
  /** From when on somebody was there who could notice; absent: from `at`. */
  readonly noticedFrom?: number;
}

export interface History {
  readonly asked: readonly Asked[];
  readonly spans: readonly Span[];
  readonly killed: readonly Killed[];
  /** Seconds, to the power of attempts: the smallest backoff base that was ever set. */
  readonly backoffBase: number;
  /** Seconds: the smallest cap that was ever set. */
  readonly backoffMax: number;
  /** Ms within which the attempt of a killed worker must be recorded lost. */
  readonly noticedWithin: number;
}

export interface AttemptSeen {
  readonly number: number;
  readonly runToken: number;
  /** Of its worker. */
  readonly pid: number;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly outcome: string | null;
  readonly exitCode: number | null;
}

export interface JobSeen {
  readonly id: string;
  readonly state: string;
  readonly attempts: number;
  readonly maxRetries: number;
  /** In order of their numbers. */
  readonly history: readonly AttemptSeen[];
}

/** After the storm and a drain. */
export interface Seen {
  readonly jobs: readonly JobSeen[];
  /** What `PRAGMA integrity_check` answered, or the backend's own check. */
  readonly integrity: string;
  /** Processes of any job that live still, each told in a few words. */
  readonly left: readonly string[];
  /** Descriptors or memory that grew, each told in a few words. */
  readonly leaks: readonly string[];
}
