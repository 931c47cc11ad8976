/**
 * The policies of its tasks as a worker announces them: in words, so that a reader need not know each policy. Owns the bound on
 * their length, because heartbeats carry them.
 */
import type { PolicyTexts } from '../../redis/fleet-store.js';
import { policyTexts } from '../../tasks/describe.js';
import type { TaskManifest } from '../../tasks/manifest.js';

/** Characters of all texts and names together. The tasks that come last are left out. */
const MOST_CHARACTERS = 32 * 1_024;
const LONGEST_TEXT = 200;

export function announcedPolicies(tasks: readonly TaskManifest[]): PolicyTexts {
  const announced: Record<string, readonly string[]> = {};
  let characters = 0;
  for (const { name, policies } of tasks) {
    const texts = policyTexts(policies).map((text) => text.slice(0, LONGEST_TEXT));
    characters += name.length + texts.join('').length;
    if (characters > MOST_CHARACTERS) break;
    announced[name] = texts;
  }
  return announced;
}
