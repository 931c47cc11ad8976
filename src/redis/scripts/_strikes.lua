-- Whether the list of strikes is another version than the caller checked against ('' none). The caller then loads the list and
-- tries again. That version also stands for the partitions by which it was routed, so no caller may do without this.
local function have_strikes_changed(strikes, checked)
  return (redis.call('HGET', strikes, STRIKES.version) or '') ~= checked
end
