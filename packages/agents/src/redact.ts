/** Text without these secrets, as they are and as JSON and URLs write them, and without what bears a credential by its form. */
export function redact(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets) {
    if (secret.length <= 3) continue;
    for (const form of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)]) {
      shown = shown.replaceAll(form, '[key]');
    }
  }
  return shown.replace(/\/\/[^/@\s]+@/g, '//[key]@').replace(/\bBearer \S+/gi, '[key]');
}

/** `redact`, and without what looks like a key: for the words of an endpoint, whose secrets are not all known. */
export function redactGuessing(text: string, secrets: readonly string[]): string {
  return redact(text, secrets)
    .replace(/\b(?=[\w*.-]*\d)[\w*.-]{20,}/g, '[key]')
    .replace(/\b(sk|pk|rk|gsk|xai|key)[-_][\w*-]{4,}/gi, '[key]');
}
