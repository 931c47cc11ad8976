/** Closes a switch over a union: a new member does not compile until the switch handles it. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
