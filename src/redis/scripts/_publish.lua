-- Returns the command that publishes on a channel of the docket, whose name begins with KEYS[#KEYS]. The caller of a script
-- passes that twice where the server has shard channels (`../script.ts`). Everything is published with this command.
local function publish_command()
  return KEYS[#KEYS] == KEYS[#KEYS - 1] and 'SPUBLISH' or 'PUBLISH'
end
