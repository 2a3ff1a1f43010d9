// @ts-check
/**
 * Closes all, in this order, whatever happens to one: what stays open would keep the test from ending.
 * @param {...({ close: () => Promise<void> } | undefined)} open
 * @throws All that went wrong.
 */
export async function closeAll(...open) {
  const errors = [];
  for (const one of open) {
    try {
      await one?.close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, errors.map(String).join('\n'));
}
