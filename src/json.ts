/**
 * Reads JSON that another program wrote, so that any value may be missing or of another type. The caller limits the
 * size of the text before it parses it.
 */

/** A JSON object whose values have any type. */
export type UnknownObject = Readonly<Record<string, unknown>>;

/**
 * Parses a text, or its UTF-8 bytes. Returns undefined, which no JSON is, for anything that is not JSON or not UTF-8.
 */
export function parseJson(json: string | Uint8Array): unknown {
  return parseWith(json);
}

/**
 * As {@link parseJson}, but every number of a field `id` becomes the text that the JSON has for it. An id of 64 bits is
 * not exact as a JavaScript number.
 *
 * @see https://github.com/tc39/proposal-json-parse-with-source
 */
export function parseJsonWithIds(json: string | Uint8Array): unknown {
  return parseWith(json, (key, value, context) =>
    key === 'id' && typeof value === 'number' ? (context?.source ?? String(value)) : value,
  );
}

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

function parseWith(json: string | Uint8Array, reviver?: Reviver): unknown {
  try {
    const text = typeof json === 'string' ? json : new TextDecoder('utf-8', { fatal: true }).decode(json);
    return JSON.parse(text, reviver) as unknown;
  } catch {
    return undefined;
  }
}

/** Returns whether a value is an object: no array, and not null. */
export function isJsonObject(value: unknown): value is UnknownObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the object. For any other value it is empty, so that all its fields are undefined. */
export function readObject(value: unknown): UnknownObject {
  return isJsonObject(value) ? value : {};
}

/** Returns the array, which is empty for any other value. */
export function readArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Returns the string, or undefined for any other value. */
export function readString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/**
 * Returns the number, or undefined for any other value, one with a fraction, and one out of range. Default: any safe
 * integer.
 */
export function readInteger(
  value: unknown,
  {
    min = Number.MIN_SAFE_INTEGER,
    max = Number.MAX_SAFE_INTEGER,
  }: { readonly min?: number; readonly max?: number } = {},
): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max ? value : undefined;
}
