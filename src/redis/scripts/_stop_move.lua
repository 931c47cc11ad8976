-- Stops the move of this name, so that its execution cannot arrive here, unless it has arrived before. Returns whether the move is
-- stopped.
local function stop_move(name)
  local arrived = prefix .. KEY.arrived .. name
  if redis.call('GET', arrived) == ARRIVED.placed then
    return false
  end
  redis.call('SET', arrived, ARRIVED.stopped, 'PX', ARRIVAL_REMEMBERED_MS)
  return true
end
