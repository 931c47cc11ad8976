/** How a writer says that it writes no more: the partitions of the docket have changed. */
import { DocketError } from '../core/errors.js';

/** The error of a call that was not written because its partition may be another one by now. It is routed again. */
export class LayoutChanged extends DocketError {
  readonly code = 'DOCKET_LAYOUT_CHANGED';
  override get name() {
    return 'LayoutChanged';
  }
}
