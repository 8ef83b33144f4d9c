/**
 * The blocks of a stream of server-sent events, as they come; nothing is read ahead of who takes them. `wait` is called
 * before each part of the body is waited for, `heard` when it is there. Throws where it is no such stream.
 */
export async function* blocksOf(
  { body, headers }: Pick<Response, 'body' | 'headers'>,
  wait: () => void,
  heard: () => void = () => {},
): AsyncGenerator<string, void, undefined> {
  if (!headers.get('content-type')?.includes('event-stream')) throw new Error('This is no event stream.');
  const text = body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    wait();
    const chunk = await text?.read();
    heard();
    if (!chunk || chunk.done) return;
    // A gateway ends every line by LF alone.
    const blocks = (rest + chunk.value).split('\n\n');
    rest = blocks.pop() ?? '';
    yield* blocks;
  }
}

/** A field of a block, which gateways write in one line: JSON, or an index. */
export function fieldOf(block: string, name: 'data' | 'id'): string | undefined {
  const start = `${name}: `;
  // LF alone ends a line: to a regular expression U+2028 and U+2029 end one too, and JSON has them as they are.
  const line = block.split('\n').find((each) => each.startsWith(start));
  return line?.slice(start.length);
}
