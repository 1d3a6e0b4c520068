from worker.words.protocol import MCPServerAuthType as MCPServerAuthType
from worker.words.protocol import MCPServerDetails as MCPServerDetails
from worker.words.protocol import MCPServerSSOTokenMode as MCPServerSSOTokenMode
from worker.words.protocol import MCPServerTransport as MCPServerTransport
from worker.words.protocol import MCPServerType as MCPServerType
