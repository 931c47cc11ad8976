-- The attempt's own count is written as a whole, not as a difference: a write that is sent twice, or overtakes another,
-- cannot count twice.

-- Writes the progress of an execution and publishes it. `old` has generation, counted, added, total and message as they
-- are in the record. A nil among the other arguments changes nothing. Returns current, total, time and message as they
-- are now.
local function write_progress(key, old, counted, added, total, message)
  counted, added, total, message =
    counted or old[2] or '0', added or old[3] or '0', total or old[4] or DEFAULT_TOTAL, message or old[5] or ''
  redis.call('HSET', prefix .. KEY.record .. key,
    PROGRESS.counted, counted, PROGRESS.added, added, PROGRESS.total, total, PROGRESS.message, message,
    PROGRESS.updated, digits(now))
  local lines = { digits(counted + added), total, digits(now), message }
  if are_all_heard then
    publish(key, old[1], 'progress', lines)
  end
  return lines
end
