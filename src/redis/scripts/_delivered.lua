--@include fields

-- Returns the id of the last entry of the stream that a worker was given; '0-0' before the first.
local function last_delivered_id(stream)
  if redis.call('EXISTS', stream) == 1 then
    for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
      local group = fields_of(info)
      if group.name == GROUP then
        return group['last-delivered-id']
      end
    end
  end
  return '0-0'
end
