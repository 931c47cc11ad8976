/** Thrown by the parts of a context that act on the execution, when its attempt has ended: the key may be another's. */
export class AttemptEndedError extends Error {
  override readonly name = 'AttemptEndedError';
  constructor(
    readonly key: string,
    use: string,
  ) {
    super(`${use} was used after the attempt of '${key}' had ended: await whatever uses it before the task returns`);
  }
}
