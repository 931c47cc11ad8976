-- Removes what an execution that will not start has at its limits, apart from permits: the debounce whose winner it is,
-- and its booking at a rate limit. `placed` is its generation, or its due time without a record. A limit whose key is of
-- another type is left alone.
local function forget_limits(member, placed, debounce, booking)
  if debounce then
    local winner_key = prefix .. KEY.debounce .. debounce
    if redis.pcall('HGET', winner_key, DEBOUNCE.winner) == member then
      redis.call('DEL', winner_key)
    end
  end
  if booking then
    local attempt, name = string.match(booking, '(%S+) (%S+)')
    local start = member .. ' ' .. (placed or '') .. ' ' .. (attempt or '')
    redis.pcall('ZREM', prefix .. KEY.booked .. (name or ''), start)
    redis.pcall('ZREM', prefix .. KEY.rate .. (name or ''), start) -- older versions booked here; or a start that was none
  end
end
