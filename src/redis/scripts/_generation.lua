-- Numbers placements, throughout the docket. A number is never below the server's microseconds, so that the numbers
-- grow even when the counter was lost. Takes `count` numbers and returns the first.
local function next_generations(count)
  local counter = prefix .. KEY.generation
  local first = math.max((tonumber(redis.call('GET', counter) or 0) or 0) + 1, time[1] * 1000000 + time[2])
  redis.call('SET', counter, digits(first + count - 1))
  return first
end
