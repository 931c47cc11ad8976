-- Counts what is left to do in the whole docket.
-- KEYS  work, front, schedule
-- Reply entries on the streams (waiting or being run), executions on the schedule
return {
  redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2]),
  redis.call('ZCARD', KEYS[3]),
}
