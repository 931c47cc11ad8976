/** The error of a call that was not written because its partition may be another one by now. It is routed again. */
export class LayoutChanged extends Error {
  override readonly name = 'LayoutChanged';
}
