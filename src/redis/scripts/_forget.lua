-- Gives back what an execution that has not started has of its limits beside slots: the place of a debounce's winner, and
-- the booking of a rate, `<attempt> <name>`. `placed` is its generation, or its due time when it has no record.
local function forget_limits(member, placed, settling, booked)
  if settling then
    local debounce = prefix .. 'debounce:' .. settling
    if redis.call('HGET', debounce, 'winner') == member then
      redis.call('DEL', debounce)
    end
  end
  if booked then
    local attempt, name = string.match(booked, '(%S+) (%S+)')
    redis.call('ZREM', prefix .. 'rate:' .. name, member .. ' ' .. (placed or '') .. ' ' .. attempt)
  end
end
