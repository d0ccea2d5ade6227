"""The least that an admission webhook in Python can be: it reads the body and says a fixed yes.

``python -m benchmarks.floor PORT FOLDER`` serves it as anybody would, with Starlette and uvicorn,
over TLS with the certificate that is in the folder.
"""

import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

YES = (
    b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",'
    b'"response":{"uid":"103e184b-b6fc-458b-947e-e78d5e341ee6","allowed":true}}'
)


async def mutate(request: Request) -> Response:
    """Say yes."""
    await request.body()
    return Response(YES, media_type="application/json")


def main(port: int, folder: Path) -> None:
    """Serve until told to stop."""
    uvicorn.run(
        Starlette(routes=[Route("/mutate", mutate, methods=["POST"])]),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        ssl_certfile=folder / "tls.crt",
        ssl_keyfile=folder / "tls.key",
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
