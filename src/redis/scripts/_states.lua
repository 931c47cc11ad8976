-- The two kinds of states. A record that is not there has no state (false), and is neither.
local function is_alive(state)
  return state == 'scheduled' or state == 'queued' or state == 'running'
end

local function is_terminal(state)
  return state == 'completed' or state == 'failed' or state == 'cancelled'
end
