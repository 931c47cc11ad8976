/** The names of everything docket writes to Redis, each with its meaning. */

/**
 * Deliveries without an outcome after which an execution is a suspect: it may be what ends its threads or processes, so it
 * runs alone from then on, and a death can be charged to it.
 */
export const SUSPECT_AFTER = 3;

/**
 * How far an execution has got through the limits of its task:
 *
 *   new                    it has to pass all of them
 *   debounce-over          it is the submission that a debounce waited for, and the time to settle is over
 *   submission-admitted    cooldown and debounce, which count submissions, are behind it
 *   attempt-admitted       so is the rate, which counts attempts, for this attempt
 */
export type AdmissionStage = 'new' | 'debounce-over' | 'submission-admitted' | 'attempt-admitted';

/** The stages as they are written in entries. */
export const ADMISSION_STAGE_CODE = {
  new: '',
  'debounce-over': '1',
  'submission-admitted': '2',
  'attempt-admitted': '3',
} as const satisfies Record<AdmissionStage, string>;

const STAGE_OF_CODE = new Map(
  Object.entries(ADMISSION_STAGE_CODE).map(([stage, code]) => [code as string, stage as AdmissionStage]),
);

/** Reads a stage; one that this version does not know counts as `new`, so that no limit is skipped. */
export function admissionStageOf(code: string): AdmissionStage {
  return STAGE_OF_CODE.get(code) ?? 'new';
}
