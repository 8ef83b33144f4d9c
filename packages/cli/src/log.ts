import { type DestinationStream, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { LogLevel } from './config/define.ts';

export type { Logger };

export interface LogOptions {
  readonly level: LogLevel;
  /** For people, in colours; else one JSON object a line. */
  readonly readable: boolean;
  /** Never written, wherever they turn up. */
  readonly secrets: readonly string[];
  /** Default: standard error. */
  readonly destination?: DestinationStream;
}

/** A secret shorter than this is no secret: hiding every "t" of a log helps nobody. */
const MIN_SECRET = 6;

const HIDDEN = '[hidden]';

/** The process's log, on standard error: standard output is for what a command was asked for. */
export function createLog({ level, readable, secrets, destination }: LogOptions): Logger {
  const hide = createHider(secrets);
  const options = {
    level,
    redact: {
      paths: [
        'token',
        'authorization',
        'secret',
        '*.token',
        '*.authorization',
        '*.secret',
        '*.headers.authorization',
      ],
      censor: HIDDEN,
    },
    hooks: { streamWrite: hide },
  };
  if (readable) {
    const stream = pretty({
      destination: 2,
      sync: true,
      ignore: 'pid,hostname',
      translateTime: 'SYS:HH:MM:ss.l',
    });
    return pino(options, stream);
  }
  return pino(options, destination ?? pino.destination({ dest: 2, sync: true }));
}

/** Takes credentials out of a line: those that are known, those of a URL's query, and those of a header. */
export function createHider(secrets: readonly string[]): (line: string) => string {
  const known = secrets
    .filter((secret) => secret.length >= MIN_SECRET)
    .flatMap((secret) => [JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]);
  return (line) => {
    let hidden = line
      .replace(/([?&](?:token|access_token)=)[^&\s"'\\]+/gi, `$1${HIDDEN}`)
      .replace(/\b(Bearer\s+)[\w.~+/=-]+/gi, `$1${HIDDEN}`);
    for (const secret of known) hidden = hidden.replaceAll(secret, HIDDEN);
    return hidden;
  };
}
