-- Numbers placements: docket-wide, monotone, and never below the server's microseconds, so that a counter that was lost
-- does not start anew. Takes `count` of them and answers with the first.
local function next_generations(count)
  local counter = prefix .. 'generation'
  local first = math.max(tonumber(redis.call('GET', counter) or 0) + 1, time[1] * 1000000 + time[2])
  redis.call('SET', counter, digits(first + count - 1))
  return first
end
