declare module 'cluster-key-slot' {
  /** Returns the slot of a key in a cluster, 0 to 16383: that of its hash tag, if it has one. */
  export default function slotOf(key: string): number;
}
