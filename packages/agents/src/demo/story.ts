/** A story made from a text by rule: the same text gives the same story, word for word. */

const HEROES = ['knight', 'lighthouse keeper', 'cartographer', 'violin maker', 'night baker', 'young diver'];
const PLACES = [
  'the salt marshes',
  'a sleeping harbour',
  'the glass hills',
  'an old orchard',
  'the river town',
];
const OPENINGS = [
  'One grey morning',
  'Long after midnight',
  'On the day of the first frost',
  'When the bells fell silent',
];
const DEEDS = [
  'set out with a lantern and half a loaf',
  'heard a low note under the floor that never stopped',
  'found a door where no door had been',
  'wrote down every promise the wind had made',
  'followed the tide further than the maps went',
  'mended what others had thrown away',
  'asked the heron for the way and was answered',
  'counted the stars twice and got two numbers',
];
const TURNS = [
  'But the road bent back upon itself',
  'Still, nobody would believe it',
  'Then the bridge gave way',
  'By evening the fog had come in',
  'And yet the letter had never been sealed',
];

/** FNV-1a, then a xorshift: enough for choosing words. */
function createChooser(text: string): <T>(items: readonly T[]) => T | undefined {
  let state = 0x811c9dc5;
  for (const character of text) state = Math.imul(state ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return (items) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return items[(state >>> 0) % items.length];
  };
}

/** Exactly `count` words, each with the space or the end of the paragraph behind it. */
export function storyOf(text: string, count: number): readonly string[] {
  const choose = createChooser(text);
  const hero = choose(HEROES);
  const words: string[] = [];
  for (let sentence = 0; words.length < count; sentence++) {
    const opening =
      sentence === 0
        ? `${choose(OPENINGS)}, in ${choose(PLACES)}, a ${hero}`
        : `${choose(TURNS)}, and the ${hero}`;
    const end = sentence % 5 === 4 ? '.\n\n' : '. ';
    words.push(...`${opening} ${choose(DEEDS)}`.split(' ').map((word) => `${word} `));
    words.push(`${words.pop()?.trimEnd()}${end}`);
  }
  return words.slice(0, count);
}
