import { type JSONSchema7, jsonSchema, type Schema } from 'ai';

/**
 * An object that has `required`, by default all, of `properties`, as a model is told of it. `read` gives the value, or the sentence that names the
 * field that is wrong.
 */
export function objectSchema<Value extends object>(
  properties: Record<string, JSONSchema7>,
  read: (fields: ReadonlyMap<string, unknown>) => Value | string,
  required: readonly string[] = Object.keys(properties),
): Schema<Value> {
  return jsonSchema<Value>(
    { type: 'object', properties, required: [...required], additionalProperties: false },
    {
      validate(args) {
        const value = read(new Map(Object.entries(Object(args))));
        return typeof value === 'string'
          ? { success: false, error: new Error(value) }
          : { success: true, value };
      },
    },
  );
}
