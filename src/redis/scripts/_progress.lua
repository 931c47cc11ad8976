-- Progress lies in the record: 'i' what its attempt counted, 'j' what others added, 'o' of how many, 'u' the message, 'v'
-- when it last changed. The attempt's own count is written as a whole, not as a difference: a write that is sent twice, or
-- overtakes another, cannot count twice.

-- Writes fields of the progress of one execution and tells who listens. `old` is its g, i, j, o, u; answers with what is
-- true now: current, total, time, message.
local function write_progress(key, old, i, j, o, u)
  i, j, o, u = i or old[2] or '0', j or old[3] or '0', o or old[4] or '100', u or old[5] or ''
  redis.call('HSET', prefix .. 'run:' .. key, 'i', i, 'j', j, 'o', o, 'u', u, 'v', digits(now))
  local lines = { digits(i + j), o, digits(now), u }
  if listened then
    publish(key, old[1], 'progress', lines)
  end
  return lines
end
