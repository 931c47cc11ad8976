-- Whether the list of strikes is another version than the caller checked against ('' none, '*' any). The caller then
-- loads the list and tries again.
local function have_strikes_changed(strikes, checked)
  return checked ~= '*' and (redis.call('HGET', strikes, STRIKES.version) or '') ~= checked
end
