-- Keeps an execution from arriving here by the move of this name, unless it has arrived. Whichever comes first counts, the arrival
-- or this. Returns whether it will not arrive.
local function stop_move(name)
  local arrived = prefix .. KEY.arrived .. name
  if redis.call('GET', arrived) == ARRIVED.placed then
    return false
  end
  redis.call('SET', arrived, ARRIVED.stopped, 'PX', ARRIVAL_REMEMBERED_MS)
  return true
end
