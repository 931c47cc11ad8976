-- Counts what is left to do in the whole docket.
-- KEYS  work, front, schedule, wakes
-- Reply entries on the streams (waiting or being run), executions on the schedule. Who waits for a slot is not counted: as
--         long as anybody does there is an entry that holds it, or a limit left for a scheduler to look at.
return {
  redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2]),
  redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4]),
}
