// What stands in the way of what the user wants.
import { CloudError } from './cloud';
import type { Problem, Unapplied } from './core';
import { CardError, LinkError } from './link/card-link';

/** What stands in the way just now; it may pass. */
export type Trouble =
  | { kind: 'card'; error: LinkError | CardError }
  | { kind: 'cloud'; error: CloudError }
  | { kind: 'unapplied'; why: Unapplied }
  | { kind: 'unknown'; error: unknown };

/** What an error means to a person. */
export function troubleOf(error: unknown): Trouble {
  if (error instanceof LinkError || error instanceof CardError) return { kind: 'card', error };
  if (error instanceof CloudError) return { kind: 'cloud', error };
  return { kind: 'unknown', error };
}

/** The problem that a trouble rests on, if a server named one. */
export function problemOf(trouble: Trouble): Problem | undefined {
  if (trouble.kind === 'cloud') return trouble.error.problem;
  return trouble.kind === 'unapplied' ? trouble.why.problem : undefined;
}
