-- Whether the strikes are not the ones the caller knows ('' none, '*' whichever): it then loads them and comes again.
local function are_strikes_other_than(strikes, known)
  return known ~= '*' and (redis.call('HGET', strikes, 'version') or '') ~= known
end
