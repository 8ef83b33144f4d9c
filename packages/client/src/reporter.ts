/** Tells the application what went wrong, or the console where it has no ear for it. */
export function report(error: unknown, onError: ((error: unknown) => void) | undefined): void {
  try {
    (onError ?? console.error)(error);
  } catch (thrown) {
    console.error(thrown);
  }
}
