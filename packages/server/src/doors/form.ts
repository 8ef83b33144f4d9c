import { WireError } from '@continuo/protocol';

/** Fields of one form at most: what parses them blocks everybody else, and 1 MB holds half a million. */
const MAX_FIELDS = 1_000;
const AMPERSAND = 38;

/** The fields of a form by their names, of one name the last. A file is a `File`. */
export type Form = Readonly<Record<string, string | File>>;

/**
 * How a body of this content-type is read as a form; `null`: it is none. What that gives throws `too_large` for more than
 * 1,000 fields, which are counted before they are parsed, and `bad_request` for what is no form.
 */
export function formReaderOf(contentType: string): ((body: ArrayBuffer) => Promise<Form>) | null {
  switch (contentType.split(';')[0]?.trim().toLowerCase()) {
    case 'application/x-www-form-urlencoded':
      return readUrlencoded;
    case 'multipart/form-data':
      return (body) => readMultipart(body, contentType);
    default:
      return null;
  }
}

async function readUrlencoded(body: ArrayBuffer): Promise<Form> {
  const bytes = new Uint8Array(body);
  demandAtMost(MAX_FIELDS - 1, (from) => bytes.indexOf(AMPERSAND, from));
  return toForm(new URLSearchParams(new TextDecoder().decode(bytes)));
}

async function readMultipart(body: ArrayBuffer, contentType: string): Promise<Form> {
  const [, quoted, plain] = /;\s*boundary=(?:"([ -!#-[\]-~]+)"|([!#-:<-[\]-~]+))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain;
  if (boundary === undefined) throw notAForm();
  const text = new TextDecoder('latin1').decode(body); // a byte is a character: positions are all that is wanted
  demandAtMost(MAX_FIELDS + 1, (from) => text.indexOf(`--${boundary}`, from)); // the last one ends the form
  // With the boundary that was counted: of a header that names two, another reader might take the other one.
  const headers = { 'content-type': `multipart/form-data; boundary="${boundary}"` };
  try {
    return toForm(await new Response(body, { headers }).formData());
  } catch (cause) {
    throw notAForm(cause);
  }
}

/** `find`: where the next mark between fields is at or after a position, -1 for nowhere. */
function demandAtMost(marks: number, find: (from: number) => number): void {
  let count = 0;
  for (let at = find(0); at !== -1; at = find(at + 1)) {
    if (++count > marks) throw new WireError('too_large', `A form has at most ${MAX_FIELDS} fields.`);
  }
}

function toForm(fields: Iterable<readonly [string, string | File]>): Form {
  const form: Record<string, string | File> = Object.create(null);
  for (const [name, value] of fields) form[name] = value;
  return form;
}

function notAForm(cause?: unknown): WireError {
  return new WireError('bad_request', 'The body is not the form that its content-type says.', { cause });
}
