import { fork, type Serializable } from 'node:child_process';

/** A process of the bench that answers one question at a time. */
export interface Child<Asked, Reply> {
  /** What it says first, by itself. */
  hello(): Promise<Reply>;
  /** Rejects when it does not answer in time, or ends. */
  ask(asked: Asked): Promise<Reply>;
  /** Idempotent. Resolves when the process has ended. */
  stop(): Promise<void>;
}

export interface ChildOptions {
  /** For errors. */
  readonly name: string;
  readonly file: URL;
  readonly args: readonly string[];
  /** Default: this Node. */
  readonly execPath?: string;
  readonly execArgv?: readonly string[];
  /** How long it may take to start, to answer, or to stop, in ms. */
  readonly answerMs: number;
}

/** The process ends when its line to the bench is cut. */
export function startChild<Asked extends Serializable, Reply>(options: ChildOptions): Child<Asked, Reply> {
  const { name, file, args, execPath = process.execPath, execArgv = [], answerMs } = options;
  const child = fork(file, args, { execPath, execArgv: [...execArgv] });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));

  function reply(): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => reject(new Error(`${name} ${why}`));
      const timer = setTimeout(() => fail(`did not answer within ${answerMs} ms`), answerMs);
      const onExit = (): void => fail('has ended');
      child.once('exit', onExit);
      child.once('message', (message: Reply) => {
        clearTimeout(timer);
        child.off('exit', onExit);
        resolve(message);
      });
    });
  }

  return {
    hello: reply,
    ask(asked) {
      const answer = reply();
      child.send(asked);
      return answer;
    },
    async stop() {
      const timer = setTimeout(() => child.kill('SIGKILL'), answerMs);
      if (child.connected) child.disconnect();
      await exited;
      clearTimeout(timer);
    },
  };
}
